"""Linear algebra with ``torch.linalg``'s names, on float32 and float64 matrices, in batches;
solve, inv, det and slogdet on complex ones too.

Factorisations run in LAPACK, through the OpenBLAS library of the package scipy-openblas32; calling
one where it is not installed is a RuntimeError that says so. Failures (a singular matrix, one that
is not positive definite, NaN) are `LinAlgError`.

>>> A = lamina.tensor([[4.0, 2.0], [2.0, 3.0]])
>>> lamina.linalg.det(A)
tensor(8.)
"""

from .errors import LinAlgError
from .factor import *
from .norms import *
from .products import *
from .systems import *
