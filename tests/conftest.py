import os

# Before torch is imported: tiny convolutions crawl when OpenMP threads wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
