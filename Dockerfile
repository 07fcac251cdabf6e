# All processes of the application; docker-compose.yml says which one a container runs.
FROM python:3.11.13-bookworm AS build
# This one has a C compiler, for activity/_hand.pyx.

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/chopar/bin:$PATH
RUN python -m venv /opt/chopar

WORKDIR /app
COPY requirements.lock ./
RUN pip install --require-hashes --requirement requirements.lock

COPY setup.cfg setup.py pyproject.toml README.md LICENSE* *.toml ./
COPY activity activity
COPY agents agents
COPY brokers brokers
COPY chopar chopar
COPY console console
COPY rabbit rabbit
COPY store store
COPY streams streams
COPY tables tables
COPY templates templates
# Editable: the code runs from here, where rules.toml and templates are.
RUN pip install --no-deps --no-build-isolation --editable . && python -c 'import activity._hand'

FROM python:3.11.13-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/chopar/bin:$PATH

RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin chopar \
    && install -d -o chopar -g chopar /data

WORKDIR /app
COPY --from=build /opt/chopar /opt/chopar
COPY --from=build /app /app

USER chopar
VOLUME /data
CMD ["chopar", "--help"]
