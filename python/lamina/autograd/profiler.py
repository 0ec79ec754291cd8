"""PyTorch's older path of the profiler: `lamina.profiler`'s `profile` and `record_function`."""

from ..profiler import profile, record_function

__all__ = ["profile", "record_function"]
