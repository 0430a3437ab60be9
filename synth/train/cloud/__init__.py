"""Training on rented machines: the same command as here, in a container of AWS SageMaker."""
