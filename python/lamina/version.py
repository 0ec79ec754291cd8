"""Versions: of lamina, and (None) of the device libraries PyTorch reports."""

cuda = hip = xpu = git_version = None
debug = False
