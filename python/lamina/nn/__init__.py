"""Layers, losses and models' building blocks, with PyTorch's names."""

from .module import Module
from .parameter import Buffer, Parameter
