"""Events to a REST interface: address, headers and body are templates."""

from adapters.http_target.target import HttpTargets

TARGET = HttpTargets()
