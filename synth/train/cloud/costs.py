"""What a training may cost, told before anything is started."""

from dataclasses import dataclass

from synth.train.params import SageMaker


@dataclass(frozen=True)
class Estimate:
    """The longest that a training may run, and what that costs.

    hours: longest run of the job. price: US dollars an hour of one instance, after the spot discount; None where
    params.yaml has no price of that instance type.
    """

    instance_type: str
    instances: int
    hours: float
    price: float | None

    @property
    def dollars(self) -> float | None:
        """The most it can cost in US dollars, without storage and transfer; None where the price is unknown."""
        return None if self.price is None else self.price * self.hours * self.instances

    def __str__(self) -> str:
        machines = f"{self.instances} x {self.instance_type} for at most {self.hours:g} hours"
        if self.dollars is None:
            return f"{machines}; what that costs is unknown, since sagemaker.prices has no {self.instance_type}"
        return (
            f"{machines} cost at most {self.dollars:,.2f} US dollars ({self.price:g} an hour each), storage not counted"
        )


def estimate(settings: SageMaker) -> Estimate:
    """What `settings` cost at most, by the prices that stand in them."""
    price = settings.prices.get(settings.instance_type)
    if price is not None and settings.spot:
        price *= settings.spot_share
    return Estimate(settings.instance_type, settings.instances, settings.hours, price)
