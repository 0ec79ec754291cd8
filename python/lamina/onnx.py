"""ONNX's names."""

from ._refuse import refused

export = refused("onnx.export", "save the model's state_dict with lamina.save", "Writing ONNX")
