"""Discrete Fourier transforms, with ``torch.fft``'s names, for float32 and float64.

A transform of n points is y_k = sum_j x_j e^(-2 pi i j k / n); its inverse has + and 1 / n. `norm`
says where the 1 / n goes: "backward" (the default) to the inverse, "forward" to the forward
transform, "ortho" as 1 / sqrt(n) to both. `n` (or `s`) cuts the input or pads it with zeros at its
end. Integers are converted to the default dtype; half precision raises DTypeError. Every length
costs O(n log n), and gradients of any order flow through.

>>> lamina.fft.rfft(lamina.tensor([1.0, 0.0, 0.0, 0.0]))
tensor([1.+0.j, 1.+0.j, 1.+0.j])
"""

from .frequencies import *
from .many import *
from .one import *
