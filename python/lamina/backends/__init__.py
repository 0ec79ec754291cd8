"""Switches of other libraries' kernels: programs may set them; nothing here reads them."""

from . import cpu, cuda, cudnn, mkl, mkldnn, mps, openmp
