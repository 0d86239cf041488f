"""Special points: what a derivative must be where most libraries return nan, raise, or are silently wrong.

Row = (id, kind, f, x, expected, evidence); f returns a scalar (or is read as the sum of its output); expected is the gradient at x.
kind: exact = differentiable there, checked against 4th-order central differences of plain NumPy/SciPy;
      limit = differentiable but at overflow/infinity or a removable singularity; conv = a convention (K2-K6, below);
      shape = the gradient must have the shape of x (K7).
evidence: the issue threads of other libraries that asked for it; [V] = seen wrong there when it was run.

The conventions, first that applies: K1 differentiable: the exact derivative, at every order.  K2 convex or concave kink: the
minimum-norm subgradient, ties split equally.  K3 other kinks and jumps: the almost-everywhere derivative.  K4 one-sided infinite
slope: +-inf, and 0 times it is 0 for a structural zero.  K5 outside the domain: nan, no exception.  K6 points of no information: 0.
K7 always: a gradient has the shape, dtype and tree of its input, and is owned.

Every row must hold in forward mode, reverse mode and, where it is smooth, at second order in all four nestings.  The list is a
sample: the conventions, not the rows, are the requirement, and the tests of each room check other points.
"""
from __future__ import annotations

import numpy as np

import dualgrad.numpy as dnp
import dualgrad.scipy.special as sp

# ruff: noqa: E501 -- one row, one line
A, inf, nan = np.array, np.inf, np.nan

CORPUS = [
# --- norms, abs, std
("N1","conv", lambda x: np.linalg.norm(x), [0.,0.], [0.,0.], "HIPS#151,#268; jax#3058; torch#2421; [V] autograd, MyGrad nan"),
("N2","limit",lambda x: np.linalg.norm(x)**2, [0.,0.], [0.,0.], "HIPS#183,#570,#586,#617; jax#21723; casadi#3898; FD.jl docs; [V] nan"),
("N4","shape",lambda x: np.sum(np.linalg.norm(x,axis=1,keepdims=True)), [[3.,4.]], [[.6,.8]], "[V] autograd returns shape (1,1,2)"),
("N5","exact",lambda x: np.linalg.norm(x,np.inf), [1.,-3.,2.], [0.,-1.,0.], "[V] autograd [0,nan,nan]"),
("N7","limit",lambda x: np.linalg.norm(x,3), [0.,2.], [0.,1.], "sparse vectors under p-norms"),
("N8","exact",lambda x: np.linalg.norm(x,2), [[2.,0.],[0.,1.]], [[1.,0.],[0.,0.]], "[V] autograd NotImplemented; jax#2011 raised"),
("N10","conv",lambda x: np.std(x), [2.,2.], [0.,0.], "torch#4320; jax#11716; keras#2960; stan#411; [V] nan"),
("N11","limit",lambda x: np.std(x), [2.], [0.], "TF#56830 (length 1)"),
("N13","exact",lambda x: np.var(x,mean=A([1.]),keepdims=True).sum(), [1.,3.], [0.,2.], "[V] autograd ignores mean= (silent)"),
("N14","exact",lambda x: np.nanvar(x[1:]*1.), [9.,1.,2.,3.,4.], [0.,-.75,-.25,.25,.75], "control for N15"),
("N16","conv",lambda x: np.nanstd(x), [nan,1.,2.,3.,4.], [0.,-.3354101966249684,-.1118033988749895,.1118033988749895,.3354101966249684], "jax#8128 (all nan)"),
("N17","conv",lambda x: np.nanmean(x**2), [nan,1.,2.], [0.,1.,2.], "jax#9040 (first entry nan)"),
("N19","conv",lambda x: np.abs(x*(1+1j)), 0., 0., "Zygote#1472; HIPS#100 (complex modulus at 0)"),
("N20","limit",lambda x: np.abs(x+0j), 1e-23, 1., "torch#96543: tiny complex -> nan (also try complex64 -1.0568e-23)"),
("N22","limit",lambda x: np.hypot(x,1e-200), 1e-200, 0.7071067811865475, "under/overflow in x/sqrt(x*x+y*y)"),
("N23","exact",lambda x: np.sum(np.sqrt(np.sum((x[:,None]-x[None])**2,-1)+np.eye(2))), [[0.,0.],[3.,4.]], [[-1.2,-1.6],[1.2,1.6]], "jax#654 pairwise distances, safe form; fwd == rev"),
# --- sqrt, pow, log
("P2","limit",lambda x: x**1.0, 0., 1., "FD.jl#331"),
("P3","exact",lambda x: np.sum(x**np.arange(3)), 0., 1., "jax#14397 nan"),
("P5","limit",lambda x: np.sum(np.power(x-np.floor(x),A([0]))), [1.], [0.], "jax#12409 nan"),
("P6","limit",lambda b: np.sum(np.zeros(2)**b), [1.,2.], [0.,0.], "torch#27134: d/db 0**b"),
("P8","conv", lambda x: np.sqrt(x), 0., inf, "K4"),
("P9","limit",lambda x: np.sqrt(x)[1], [0.,4.], [0.,.25], "Theano#1996: nan*0 through indexing"),
("P11","conv",lambda x: x[0]*np.exp(-x[1]), [1.,-1000.], [inf,-inf], "FD.jl#745 (nan)"),
("P12","exact",lambda x: np.sum(x/x), [2.], [0.], "control"),
("P14","exact",lambda x: sp.expit(x), -1000., 0., "overflow warnings"),
("P15","conv",lambda x: np.arccos(x), 1., -inf, "jax#15798; torch#8069"),
("P17","exact",lambda x: np.log1p(x), 1e-20, 1., "precision"),
("P18","exact",lambda x: np.cbrt(x), 8., 1/12, "[V] autograd no rule"),
("P20","limit",lambda x: np.i0(x), 0., 0., "jax#11479 nan"),
# --- where / select
("W1","limit",lambda x: np.where(x<1.,x,np.sqrt(x)), 0., 1., "jax#5798; [V] autograd ZeroDivisionError on float input"),
("W3","limit",lambda x: np.sum(np.where(A([False,True]),0.,np.arctan2(x,x))), [3.,0.], [0.,0.], "jax#1052"),
("W4","exact",lambda x: np.where(x>0,np.sqrt(np.abs(x)),0.), -3., 0., "casadi#1878 (also 2nd derivative 0)"),
("W6","shape",lambda x: np.sum(np.where(A([True,False]),x,0.)), 3., 1., "[V] autograd returns [1,0] for a scalar input"),
("W7","shape",lambda x: np.sum(np.where(A([True,False,True])[:,None],x,0.)), [1.,2.,3.], [2.,2.,2.], "[V] autograd returns (3,3)"),
("W9","exact",lambda x: np.sum(np.piecewise(x,[x>1],[lambda z:2*z,lambda z:z])), [.5,2.], [1.,2.], "[V] no rule"),
# --- reductions with kwargs (the 1.9.1 silent family)
("R1","exact",lambda x: np.sum(x,where=A([True,False])), [1.,2.], [1.,0.], "[V] autograd 1.9.1 [1,1] silent"),
("R3","exact",lambda x: np.var(x,where=A([True,False,True])), [1.,7.,3.], [-1.,0.,1.], "[V] silent wrong"),
("R4","exact",lambda x: np.prod(x,where=A([True,False,True])), [2.,5.,3.], [3.,0.,2.], "[V] silent wrong"),
("R6","exact",lambda x: np.prod(x,initial=2.), [3.,5.], [10.,6.], "sibling"),
("R7","exact",lambda x: np.max(x,initial=5.), [1.,2.], [0.,0.], "[V] nan"),
("R9","exact",lambda x: np.sum(np.sum(x,axis=())), [1.,2.], [1.,1.], "axis=()"),
("R10","exact",lambda x: np.prod(x), [2.,0.,3.], [0.,6.,0.], "torch#773; tinygrad PR#17404; [V] autograd nan"),
("R12","exact",lambda x: np.sum(np.prod(x,axis=1)), [[2.,0.],[1.,3.]], [[0.,2.],[3.,1.]], "[V] nan"),
("R13","limit",lambda x: np.prod(x), [[1e130,0.,0.],[1e130,1e130,0.],[1e130,1e130,1e130]], [[0.]*3]*3, "torch#194699 (inf*0 inside prefix/suffix products)"),
("R15","exact",lambda x: np.sum(np.cumprod(x)), [2.,0.,3.,0.,5.], [1.,8.,0.,0.,0.], "two zeros"),
("R16","limit",lambda x: np.prod(x), 3., 1., "jax PR#7717: 0-d prod"),
("R18","exact",lambda x: np.median(x), [3.,1.,2.], [0.,0.,1.], "HIPS#788"),
("R19","exact",lambda x: np.quantile(x,.25), [3.,1.,2.], [0.,.5,.5], "HIPS#788"),
("R21","exact",lambda x: np.nansum(A([0.,nan])+x[0]*A([1.,1.])), [2.], [1.], "nan entries contribute 0"),
("R22","exact",lambda x: np.ptp(x), [1.,4.,2.], [-1.,1.,0.], "[V] no rule"),
# --- ties, sort
("T2","exact",lambda x: np.maximum(x,x), 1., 1., "Theano#6470; HIPS PR#141; MyGrad 0 [V]"),
("T3","exact",lambda x: np.max(np.stack([x,x])), 1., 1., "HIPS PR#141"),
("T5","conv", lambda x: np.clip(x,0.,1.), 1., .5, "torch#184572: must equal minimum(x,1) (autograd 0, torch 1)"),
("T6","conv", lambda x: np.fmax(x,nan), 1., 1., "nan operand"),
("T8","conv", lambda x: np.sum(np.sort(x)*A([1.,2.,3.])), [1.,1.,0.], [2.,3.,1.], "stable order on ties; or the split [2.5,2.5,1] — fix one, both modes"),
("T9","exact",lambda x: np.sum(np.sort(x,axis=0)*A([[1.,2.],[3.,4.]])), [[1.,0.],[0.,1.]], [[3.,2.],[1.,4.]], "[V] autograd: rev NotImplemented, fwd silently wrong"),
("T11","exact",lambda x: np.clip(2.,0.,x), 1., 1., "[V] autograd: no rule wrt bounds, KeyError fwd"),
("T12","exact",lambda x: np.mod(7.,x), 3., -2., "control"),
("T14","exact",lambda x: np.sum(x//.7), [1.,2.], [0.,0.], "[V] autograd: Box // float TypeError; also +x, divmod"),
# --- log-domain
("L1","limit",lambda x: sp.logsumexp(x), [-inf,0.], [0.,1.], "control"),
("L3","limit",lambda x: sp.logsumexp(x), [inf,0.], [1.,0.], "torch#49724; [V] nan"),
("L4","limit",lambda x: sp.logsumexp(x,b=A([1.,0.])), [-1000.,-2.], [1.,0.], "jax#5370; [V] nan"),
("L6","exact",lambda x: np.logaddexp(x,x), 1., 1., "keras PR#23616; partials (.5,.5)"),
("L7","limit",lambda x: np.logaddexp(x,-inf), 0., 1., "control"),
("L9","limit",lambda y: sp.xlogy(0.,y), 0., 0., "jax#15598"),
("L10","exact",lambda x: sp.xlogy(x,3.), 0., 1.0986122886681098, "jax#15598 (and order 2)"),
("L12","exact",lambda x: np.sum(sp.softmax(x)*A([1.,0.])), [0.,0.], [.25,-.25], "[V] missing in autograd"),
("L13","exact",lambda x: sp.log_ndtr(x), -40., 40.02496885, "tails"),
# --- trig/sinc/special
("S2","limit",lambda x: np.sum(np.sinc(x)), [0.,1.], [0.,-1.], "[V] nan"),
("S3","conv", lambda x: np.arctan2(x,0.), 0., 0., "jax#1052,#15407; torch#98276; [V] nan"),
("S5","exact",lambda a: sp.gammainc(a,1.), 1., -0.4317297106348987, "autograd-gamma; torch#67763; [V] no rule"),
("S6","exact",lambda a: sp.betainc(a,2.,.5), 1.5, -0.2520862425, "jax#38610,#15487"),
("S8","exact",lambda v: sp.kv(0,v), 1., -0.6019072301972346, "[V] missing"),
("S9","exact",lambda x: sp.erfinv(x), 0., 0.886226925452758, "forward mode missing in autograd [V]"),
# --- linalg
("A2","exact",lambda x: np.linalg.det(x), [[0.,0.],[0.,0.]], [[0.,0.],[0.,0.]], "jax tests; [V] LinAlgError"),
("A3","exact",lambda x: np.linalg.det(x), [[50.,-30.,45.],[-30.,90.,-81.],[45.,-81.,81.]], [[729.,-1215.,-1620.],[-1215.,2025.,2700.],[-1620.,2700.,3600.]], "jax testDetGradOfSingularMatrixCorank1 (2nd order too: torch#192521 at I)"),
("A5","exact",lambda x: np.sum(np.linalg.eigvalsh((x+x.T)/2)), [[1.,0.],[0.,1.]], [[1.,0.],[0.,1.]], "jax#669"),
("A6","exact",lambda x: (lambda w,v: np.sum((v*w@v.T)*A([[1.,2.],[2.,4.]])))(*np.linalg.eigh((x+x.T)/2)), [[1.,0.],[0.,1.]], [[1.,2.],[2.,4.]], "jax#1383,#669,PR#40257; [V] autograd nan"),
("A8","exact",lambda x: (lambda u,s,v: np.sum((u*s@v)*A([[1.,2.],[3.,4.]])))(*np.linalg.svd(x)), [[1.,0.],[0.,1.]], [[1.,2.],[3.,4.]], "jax#2311,#8732; [V] autograd NotImplemented(full_matrices)"),
("A9","exact",lambda x: np.sum(np.linalg.svd(x,compute_uv=False)), [[2.,0.,0.],[0.,1.,0.]], [[1.,0.,0.],[0.,1.,0.]], "wide"),
("A11","exact",lambda p: np.sum(np.linalg.pinv(A([[0.,0.],[-1.,0.]])*p/(1+p**2)+A([[0.,0.],[0.,1.]])/(1+p**2))*A([[1.,2.],[3.,4.]])), 2., -2., "jax#2792: rank-deficient pinv, d = [[0,-1],[0,0]]"),
("A12","exact",lambda x: np.trace(np.linalg.matrix_power(x,3)), [[2.,0.],[0.,2.]], [[12.,0.],[0.,12.]], "[V] no rule; n=0,-1 too"),
("A14","exact",lambda b: np.sum(np.linalg.lstsq(2*np.eye(2),b,rcond=None)[0]), [1.,2.], [.5,.5], "[V] no rule; jax#32666 zero matrix"),
("A15","exact",lambda x: np.sum(np.linalg.solve(x,np.ones((2,2,1)))), [[2.,0.],[0.,2.]], [[-.5,-.5],[-.5,-.5]], "[V] autograd returns the batched shape (2,2,2)"),
("A18","exact",lambda x: np.sum(np.linalg.cholesky((x+x.T)/2)), [[4.,0.],[0.,4.]], [[.25,.25],[.25,.25]], "symmetric gradient (HIPS PR#56; torch#18825,#22807)"),
# --- shapes, einsum, indexing, stacking
("X1","exact",lambda x: np.einsum('ii->',x), [[1.,2.],[3.,4.]], [[1.,0.],[0.,1.]], "HIPS#115,#510; [V] ValueError"),
("X2","shape",lambda x: np.einsum('i,i',x,A([2.])), [1.,2.], [2.,2.], "HIPS#376; [V] shape (1,)"),
("X4","exact",lambda x: np.sum(np.broadcast_to(x,(3,2))), [1.,2.], [3.,3.], "HIPS#384 open since 2018; [V] AssertionError"),
("X5","shape",lambda x: np.sum(np.outer(x,A([1.,2.]))), [[1.,2.],[3.,4.]], [[3.,3.],[3.,3.]], "[V] flattened"),
("X7","exact",lambda x: np.sum(np.take_along_axis(x[:,None]*np.arange(3.),A([[0],[1],[2]]),-1)), [1.,1.,1.], [0.,1.,2.], "jax#1521"),
("X8","exact",lambda x: np.sum(np.repeat(x,A([1,3]))), [1.,2.], [1.,3.], "[V] TypeError"),
("X10","exact",lambda x: np.sum(np.diff(x,prepend=0.)**2), [1.,3.], [-2.,4.], "[V] TypeError"),
("X11","exact",lambda x: np.sum(np.gradient(x,.5)), [1.,2.,4.], [-3.,0.,3.], "HIPS#447; [V] NotImplemented/ValueError"),
("X13","exact",lambda x: np.sum(np.roll(x,(1,2),axis=(0,1))*A([[1.,2.],[3.,4.]])), [[1.,2.],[3.,4.]], [[3.,4.],[1.,2.]], "[V] TypeError on tuple shift"),
("X14","exact",lambda x: np.sum(np.concatenate([x,2*x],axis=None)), [[1.,2.]], [[3.,3.]], "[V] TypeError"),
("X16","exact",lambda x: dnp.sum([x[0],x[1]*2]), [1.,2.], [1.,2.], "list argument to a NumPy function"),
("X17","exact",lambda x: np.sum(dnp.array([[x[0],0.],[0.,x[1]]])), [1.,2.], [1.,1.], "HIPS#160: nested list of traced scalars"),
("X19","exact",lambda x: np.add.reduce(x)+np.sum(np.add.outer(x,x)), [1.,2.], [5.,5.], "[V] ufunc methods missing"),
("X20","exact",lambda x: np.sum(np.abs(np.fft.rfft(x))**2), [1.,2.,4.], [10.,13.,19.], "odd length; [V] NotImplemented. irfft(n odd), hfft"),
("X22","exact",lambda x: np.sum(np.convolve(x,A([1.,2.]))), [1.,2.,3.], [3.,3.,3.], "HIPS#644; modes same/valid, short first operand"),
("X23","exact",lambda x: np.cov(x), [1.,3.], [-2.,2.], "0-d result; [V] no rule"),
]
