"""GrowingIO's REST export API: its routes, and nothing of what they decide."""
