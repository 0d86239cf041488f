"""Test problems with published starts and minima, as data and plain NumPy functions.

    more_garbow_hillstrom   PROBLEMS, rosenbrock(n): sums of squares; their functions are in residuals
    hock_schittkowski       CONSTRAINED: bounds and constraints
    nist                    DATASETS: nonlinear regression with certified parameters and standard deviations
    problem                 what a problem is: residuals or objective, start, minima
"""
