"""What a training runs on, and the seed of what is drawn when networks are built."""

from typing import Protocol


class Hardware(Protocol):
    """What a configuration says of it."""

    @property
    def devices(self) -> str: ...
    @property
    def nodes(self) -> int: ...
    @property
    def precision(self) -> str: ...


def hardware(config: Hardware) -> tuple[int | str, int, str]:
    """Devices, machines and number format, as Lightning takes them."""
    devices = int(config.devices) if config.devices.isdigit() else config.devices
    return devices, config.nodes, config.precision


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch."""
    import lightning

    lightning.seed_everything(seed, verbose=False)
