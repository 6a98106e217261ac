"""Network families, one file each: ``ABOUT``, ``SCALING`` (how it scales, in words) and ``bases()``."""
