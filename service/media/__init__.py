"""Images in: inspected and cleaned by a process of their own. Videos kept: objects in a store. Neither knows fal."""
