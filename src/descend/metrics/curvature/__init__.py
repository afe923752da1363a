"""What can be told of a curvature matrix while a run goes: small parts that share one matrix and its spectrum."""
