"""What the service does with what :mod:`catalog` knows: doors, operations, engine, workers."""
