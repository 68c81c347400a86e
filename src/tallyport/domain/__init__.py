"""What things mean and what should happen: values and pure functions, standard library only."""
