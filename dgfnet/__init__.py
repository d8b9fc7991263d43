"""DGFNet inpainting: the method. Tensors in, tensors out; knows no socket and no editor."""

__version__ = "0.1.0"
