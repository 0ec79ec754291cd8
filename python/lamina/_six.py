"""Constants that PyTorch kept here until its version 2."""

string_classes = (str, bytes)
int_classes = int
