"""What may be asked of the service, the same from every door. No HTTP, no SQL, no bytes."""
