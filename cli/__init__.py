"""The shell's face of the engine: `motionqa ask`, `describe`, `info`, `app`, …"""
