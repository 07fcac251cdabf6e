"""The Faust transport `chopar://`: Kafka by aiokafka, read in chunks (entry point in `faust.transports`)."""

from faust.transport.drivers import aiokafka as driver

from streams.consumer import Consumer
from streams.producer import Producer


class Transport(driver.Transport):
    """Faust's own transport with our consumer and producer."""

    Consumer = Consumer
    Producer = Producer
