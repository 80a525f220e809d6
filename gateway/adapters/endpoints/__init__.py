"""The `EndpointSource` port: endpoints as they are scraped, listed or discovered."""
