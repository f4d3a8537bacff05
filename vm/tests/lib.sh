# Sourced by the tests, in the guest: . /host/lib.sh
