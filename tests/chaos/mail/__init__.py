"""The random run of the mail side: mailers, RabbitMQ and its connections are hurt at random under load. `make chaos-mail`."""
