"""What Tasmota's keys mean: quantity, and unit or the document-wide key that states it.

Sources: tasmota.github.io "JSON Status Responses", "Sensor Configuration", the drivers' own sources.
"""

Keys = dict[str, tuple[str, str | None]]

PRESSURE_UNIT = "PressureUnit"
_T, _P, _S = "TempUnit", PRESSURE_UNIT, "SpeedUnit"
KEYS: Keys = {
    # key: (quantity, unit, or the document-wide key that states it)
    "Temperature": ("temperature", _T), "Humidity": ("humidity", "%"), "DewPoint": ("dew_point", _T),
    "HeatIndex": ("heat_index", _T), "Pressure": ("pressure", _P), "SeaPressure": ("sea_level_pressure", _P),
    "QNH": ("sea_level_pressure", _P), "Illuminance": ("illuminance", "lx"), "Ambient": ("illuminance", "lx"),
    "Gas": ("gas_resistance", "kΩ"), "CarbonDioxide": ("carbon_dioxide", "ppm"), "CO2": ("carbon_dioxide", "ppm"),
    "eCO2": ("eco2", "ppm"), "TVOC": ("volatile_organic_compounds_parts", "ppb"), "Moisture": ("moisture", "%"),
    "CF1": ("cf1", "µg/m³"), "CF2.5": ("cf2_5", "µg/m³"), "CF10": ("cf10", "µg/m³"), "PM1": ("pm1", "µg/m³"),
    "PM1_0": ("pm1", "µg/m³"), "PM2_5": ("pm25", "µg/m³"), "PM4_0": ("pm4", "µg/m³"),
    "PM2.5": ("pm25", "µg/m³"), "PM4": ("pm4", "µg/m³"), "PM10": ("pm10", "µg/m³"), "UvIndex": ("uv_index", None),
    "UVI": ("uv_index", None), "UvLevel": ("uv_level", None), "Distance": ("distance", "cm"),
    "Battery": ("battery", "%"),
    "Voltage": ("voltage", "V"), "Current": ("current", "A"), "Power": ("power", "W"), "Frequency": ("frequency", "Hz"),
    "ActivePower": ("power", "W"),
    "ApparentPower": ("apparent_power", "VA"), "ReactivePower": ("reactive_power", "var"),
    "RSSI": ("signal_strength", "dBm"), "Speed": ("speed", _S), "Weight": ("weight", "kg"), "OBJTMP": ("objtmp", _T),
    "AMBTMP": ("ambtmp", _T), "Position": ("position", "%"), "CCT": ("color_temperature", "K"),
    "LinkQuality": ("link_quality", None), "BatteryPercentage": ("battery", "%"), "BatteryVoltage": ("voltage", "V"),
    "RMSVoltage": ("voltage", "V"), "RMSCurrent": ("current", "A"), "Lux": ("illuminance", "lx"),
}  # fmt: skip
ENERGY: Keys = {
    **KEYS,
    "Total": ("energy", "kWh"), "Today": ("energy_today", "kWh"), "Yesterday": ("energy_yesterday", "kWh"),
    "Period": ("energy_period", "Wh"), "Factor": ("power_factor", None), "PhaseAngle": ("phase_angle", "°"),
    "ExportActive": ("energy_returned", "kWh"), "ImportActive": ("energy_import", "kWh"),
    "ImportReactive": ("reactive_energy_import", "kvarh"), "ExportReactive": ("reactive_energy_export", "kvarh"),
    "TotalTariff": ("energy_tariff", "kWh"), "ExportTariff": ("energy_returned_tariff", "kWh"),
    "Energy": ("energy", "kWh"), "CurrentNeutral": ("current_neutral", "A"),
}  # fmt: skip
ZIGBEE: Keys = {
    **KEYS,
    "Power": ("switch", None), "Occupancy": ("occupancy", None), "Contact": ("opening", None),
    "Motion": ("motion", None),
    "Water": ("water_leak", None), "Fire": ("smoke", None), "Tamper": ("tamper", None),
}  # fmt: skip
TRUE_FALSE = {quantity for quantity, _ in ZIGBEE.values()} - {quantity for quantity, _ in KEYS.values()}
# What a driver means by a key that others use for something else.
DRIVERS: dict[tuple[str, str], tuple[str, str | None]] = {
    ("AS3935", "Distance"): ("distance", "km"),
    ("VL53L0X", "Distance"): ("distance", "mm"),
    ("VL53L1X", "Distance"): ("distance", "mm"),
    ("TOF10120", "Distance"): ("distance", "mm"),
}
IDENTITY = frozenset(("Id", "Type", "Address", "MAC", "Mac", "Device", "Name", "Endpoint", "Group", "TotalStartTime"))
WIND = {
    "Speed": ("wind_speed", _S, {"Act": "", "Avg": "_avg", "Min": "_min", "Max": "_max"}),
    "Dir": ("wind_direction", "°", {"Deg": "", "Avg": "_avg", "Min": "_min", "Max": "_max", "Range": "_range"}),
}  # fmt: skip
UNIT_KEYS = {_T: "°C", _P: "hPa", _S: "km/h"}
