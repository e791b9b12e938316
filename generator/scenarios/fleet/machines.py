"""Trucks and what they measure."""

from __future__ import annotations

from random import Random
from typing import Any

__all__ = ["Truck"]

_HOT_C, _TOO_HOT_C = 104.0, 112.0
_TANK_LOW_PERCENT = 15.0
_STATIONS = ("Rostock", "Leipzig", "Graz", "Malmö", "Gent")


class Truck:
    """Drives, gets warm, uses fuel, and fills up.

    Args:
        machine_id: its name, as in ``truck-07``.
        rng: decides how it goes.
    """

    def __init__(self, machine_id: str, rng: Random) -> None:
        self.machine_id = machine_id
        self._rng = rng
        self._speed_kmh = rng.uniform(50, 85)
        self._engine_c = rng.uniform(80, 95)
        self._fuel_percent = rng.uniform(20, 100)
        self._odometer_km = rng.uniform(10_000, 400_000)

    def measure(self, seconds: float) -> dict[str, Any]:
        """Let time pass and return level, message and measurements."""
        rng = self._rng
        self._speed_kmh = min(95.0, max(0.0, self._speed_kmh + rng.uniform(-6, 6)))
        warm_c = 85 + self._speed_kmh / 8  # where the engine ends up at this speed
        self._engine_c += (warm_c - self._engine_c) * 0.1 + rng.gauss(0, 2.5)
        self._odometer_km += self._speed_kmh * seconds / 3_600
        self._fuel_percent -= rng.uniform(0.02, 0.2)
        level, message = self._judge()
        return {
            "level": level,
            "message": message,
            "speed_kmh": round(self._speed_kmh, 1),
            "engine_c": round(self._engine_c, 1),
            "fuel_percent": round(self._fuel_percent, 1),
            "odometer_km": round(self._odometer_km, 2),
        }

    def _judge(self) -> tuple[str, str]:
        if self._fuel_percent < 1:
            self._fuel_percent = 100.0
            return "INFO", f"tank filled in {self._rng.choice(_STATIONS)}"
        if self._engine_c > _TOO_HOT_C:
            return "ERROR", f"engine too hot: {self._engine_c:.0f} C"
        if self._engine_c > _HOT_C:
            return "WARNING", f"engine hot: {self._engine_c:.0f} C"
        if self._fuel_percent < _TANK_LOW_PERCENT:
            return "WARNING", f"tank low: {self._fuel_percent:.0f} %"
        return "INFO", f"on the road at {self._speed_kmh:.0f} km/h"
