import os

# Before torch is imported: tiny convolutions crawl when OpenMP threads wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from threadpoolctl import threadpool_limits

# NumPy may have been imported by a plugin of pytest's before that, with a BLAS thread for every core.
threadpool_limits(1, user_api="blas")
