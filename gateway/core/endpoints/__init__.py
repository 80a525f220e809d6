"""What requests show of an endpoint: how it fares, how fast it is, and how long it usually takes.

`outlier_ejection` is the rule by which an endpoint whose requests fail is left alone for a while.
`usual_waits` tells what is unusual silence there, `endpoint_rates` learns how fast it answers, as
estimates that forget (`estimate`). All of it is a part of `types.EndpointState`.

Imports errors, and of core what lies in no room.
"""
