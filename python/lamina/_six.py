"""Constants that PyTorch kept here until its version 2."""

import collections.abc
import math

inf, nan = math.inf, math.nan
string_classes = (str, bytes)
int_classes = int
container_abcs = collections.abc
