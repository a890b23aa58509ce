"""What `entrepot doctor` looks at, one subject a file, and the support bundle that carries it to somebody else."""
