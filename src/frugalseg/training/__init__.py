"""Lightning modules and what they are fed with."""

from frugalseg._torchvision import mend_torchvision

mend_torchvision()  # before anything here imports Lightning, which imports torchvision
