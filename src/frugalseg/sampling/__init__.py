"""Adaptive sampling: pure functions on tensors, without networks, files or configuration."""

from frugalseg.sampling.boundaries import (
    boundary_density,
    boundary_maps,
    fade_pull,
    nearest_boundary,
    semantic_boundaries,
)
from frugalseg.sampling.density import (
    equal_density_sampling,
    relative_density,
    separable_sampling,
)
from frugalseg.sampling.energy import (
    boundary_energy,
    boundary_sampling,
    minimise_boundary_energy,
    scaled_smoothness,
)
from frugalseg.sampling.gradients import gradient_density
from frugalseg.sampling.grids import (
    blend_with_uniform,
    cell_spacing,
    cover,
    folded_cells,
    reduced_sampling,
    resize_sampling,
    uniform_sampling,
)
from frugalseg.sampling.interpolation import interpolate, interpolate_argmax
from frugalseg.sampling.saliency import saliency_sampling
from frugalseg.sampling.warp import (
    area_average,
    footprint,
    sample,
    sample_labels,
    sample_pixels,
    to_grid_sample,
)

__all__ = [
    "area_average",
    "blend_with_uniform",
    "boundary_density",
    "boundary_energy",
    "boundary_maps",
    "boundary_sampling",
    "cell_spacing",
    "cover",
    "equal_density_sampling",
    "fade_pull",
    "folded_cells",
    "footprint",
    "gradient_density",
    "interpolate",
    "interpolate_argmax",
    "minimise_boundary_energy",
    "nearest_boundary",
    "reduced_sampling",
    "relative_density",
    "resize_sampling",
    "saliency_sampling",
    "sample",
    "sample_labels",
    "sample_pixels",
    "scaled_smoothness",
    "semantic_boundaries",
    "separable_sampling",
    "to_grid_sample",
    "uniform_sampling",
]
