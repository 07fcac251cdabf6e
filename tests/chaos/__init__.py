"""The random run: processes and brokers are hurt at random under load, then an independent checker counts. `make chaos`."""
