"""Class activation maps: where a network looks for a class.

CAM (Zhou et al. 2016, arXiv 1512.04150) where the network pools its last maps and ends in one linear layer:
``M_c(x, y) = sum_k w_ck f_k(x, y)``. Elsewhere Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391), which is
CAM divided by the number of pixels of a map where both can be had.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from scaler.errors import UserError
from scaler.networks.build import Network
from scaler.networks.python_network import PythonNetwork

Method = Literal["cam", "grad-cam"]

#: Images at a time.
_BATCH = 64


def method_for(network: Network) -> Method:
    """``cam`` where the network ends in pooling to one pixel and a linear layer, else ``grad-cam``."""
    spec = network.spec
    plain = not isinstance(spec, PythonNetwork) and spec.head.pool == 1 and not spec.head.hidden
    return "cam" if plain else "grad-cam"


def class_maps(network: Network, images: Tensor, classes: Tensor, method: Method | None = None) -> Tensor:
    """A map per image: how much each place speaks for a class. Negative where it speaks against it.

    Args:
        network: in eval mode.
        images: ``[N, 3, R, R]``, prepared as the network takes them.
        classes: ``int64 [N]``, the class asked about in each image.
        method: None is :func:`method_for`.

    Returns:
        ``float32 [N, h, w]``, the size of the network's last maps.

    Raises:
        UserError: CAM is asked for where there is none, or captum is not installed.
    """
    method = method or method_for(network)
    if method == "cam" and method_for(network) != "cam":
        raise UserError(
            f"{network.spec.name} does not end in pooling and one linear layer, so it has no CAM: "
            "use --method grad-cam"
        )
    make = _cam if method == "cam" else _grad_cam
    batches = zip(torch.split(images, _BATCH), torch.split(classes, _BATCH), strict=True)
    return torch.cat([make(network, some, wanted) for some, wanted in batches])


def _cam(network: Network, images: Tensor, classes: Tensor) -> Tensor:
    classifier = network.get_submodule("head.classifier")
    assert isinstance(classifier, nn.Linear)
    with torch.no_grad():
        features = network.get_submodule("stages")(network.get_submodule("stem")(images))
        for name, part in network.get_submodule("head").named_children():
            if name == "pool":
                break
            features = part(features)
        return torch.einsum("nk,nkhw->nhw", classifier.weight[classes], features)


def _grad_cam(network: Network, images: Tensor, classes: Tensor) -> Tensor:
    try:
        from captum.attr import LayerGradCam
    except ImportError as error:
        raise UserError(
            "Grad-CAM needs captum, which is not installed: pip install 'compound-scaler[inspect]'"
        ) from error
    own_code = isinstance(network.spec, PythonNetwork)
    layer = _last_map(network, images[:1]) if own_code else network.get_submodule("head.pool")
    maps: Tensor = LayerGradCam(network, layer).attribute(
        images, target=classes, attribute_to_layer_input=not own_code
    )
    return maps.detach()[:, 0]


def _last_map(network: Network, image: Tensor) -> nn.Module:
    """The module that gives the last maps of more than one pixel, in a network that only its code knows."""
    found: list[nn.Module] = []

    def note(module: nn.Module, _: object, out: object) -> None:
        if isinstance(out, Tensor) and out.dim() == 4 and out.shape[2] * out.shape[3] > 1:
            found.append(module)

    leaves = [module for module in network.modules() if not any(module.children())]
    hooks = [leaf.register_forward_hook(note) for leaf in leaves]
    try:
        with torch.no_grad():
            network(image)
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise UserError(f"{network.spec.name} has no layer whose output is a map, so nothing can be shown")
    return found[-1]
