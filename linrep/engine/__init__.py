"""The fast path: the steps of `linrep.steppers`, compiled, for the CPU and the cross-entropy of a population."""
