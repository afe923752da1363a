"""Derivatives of every order, products and spectra, each by a route that is right wherever it runs."""

from descend.derivatives.density import Density, density
from descend.derivatives.directional import taylor
from descend.derivatives.flat import ravel, unravel
from descend.derivatives.gauss_newton import GaussNewtonProduct, empirical_fisher_product, fisher_product
from descend.derivatives.gradient import gradient, jacobian, value_and_gradient
from descend.derivatives.hessian import hessian
from descend.derivatives.orders import derivative
from descend.derivatives.partials import auto_partials, nested_partials, taylor_partials
from descend.derivatives.products import HessianProduct, Product, hvp
from descend.derivatives.spectrum import Eigenpairs, Spectrum, spectrum
from descend.derivatives.tensors import derivative_tensor
from descend.derivatives.trace import Estimate, Moments, moments

__all__ = [
    "Density",
    "Eigenpairs",
    "Estimate",
    "GaussNewtonProduct",
    "HessianProduct",
    "Moments",
    "Product",
    "Spectrum",
    "auto_partials",
    "density",
    "derivative",
    "derivative_tensor",
    "empirical_fisher_product",
    "fisher_product",
    "gradient",
    "hessian",
    "hvp",
    "jacobian",
    "moments",
    "nested_partials",
    "ravel",
    "spectrum",
    "taylor",
    "taylor_partials",
    "unravel",
    "value_and_gradient",
]
