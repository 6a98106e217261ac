"""What tests of running a search hold against one that nothing disturbed."""

import pytest

from scaler.execution.protocol import Observation
from tests.execution import toy_search


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Observation]:
    return toy_search.run("journal", tmp_path_factory.mktemp("undisturbed"))
