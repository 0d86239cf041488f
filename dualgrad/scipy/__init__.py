"""Drop-in namespaces for SciPy: functions of it that NumPy's protocols do not reach."""
