"""The parts of the network, which `dgfnet.model` assembles, and the mathematics under them: tensors in, tensors out."""
