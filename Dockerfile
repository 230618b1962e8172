# One image for web, coordinator, watch, workers and Flower; docker-compose.yml says who runs what.
# Nothing secret is in it: every secret comes from the environment when a container starts.

FROM python:3.12-slim AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/ansf
COPY requirements.txt /tmp/requirements.txt
RUN /opt/ansf/bin/pip install --requirement /tmp/requirements.txt

FROM python:3.12-slim
# numpy and numba read these when they are imported: a process per slot, so one thread each.
ENV PATH=/opt/ansf/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DJANGO_SETTINGS_MODULE=ansf_platform.settings \
    ANSF_STATE_DIR=/var/lib/ansf \
    STATIC_ROOT=/srv/static \
    NUMBA_CACHE_DIR=/var/lib/ansf/kernels \
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1
# A new volume takes over the owner of the directory that it covers.
RUN useradd --system --uid 10001 --home-dir /var/lib/ansf --shell /usr/sbin/nologin ansf \
    && install --directory --owner=ansf --group=ansf --mode=0750 /var/lib/ansf \
    && install --directory --owner=ansf --group=ansf --mode=0755 /srv/static
COPY --from=packages /opt/ansf /opt/ansf
WORKDIR /srv/ansf
COPY . .
RUN python -m compileall -q . /opt/ansf/lib
USER ansf
# Settings need a secret or DEBUG; this one lives for a moment, in a directory that goes with it.
RUN DEBUG=1 ANSF_STATE_DIR=/tmp/build python manage.py collectstatic --noinput --verbosity 0 \
    && rm -r /tmp/build
EXPOSE 8053 5555
CMD ["uvicorn", "ansf_platform.asgi:application", "--host", "0.0.0.0", "--port", "8053", \
     "--timeout-graceful-shutdown", "3", "--no-access-log", "--lifespan", "off"]
