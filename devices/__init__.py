"""What the sensors really say: payloads of device families, as readings.

Pure functions of (topic, payload, clock). Never imports `gateway`.
"""
