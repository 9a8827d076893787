# One image for every role: docker-compose.yml gives each service its verb.
FROM python:3.11-slim

# FLAC, speech and the Node that builds the pages come with Python packages; nothing of the system is
# needed beside Python.
WORKDIR /opt/earwitness
COPY pyproject.toml constraints.txt README.md LICENSE hatch_build.py package.json package-lock.json .npmrc ./
COPY archive archive
COPY keys keys
COPY playback_portal playback_portal
COPY recorder recorder
COPY retention retention
RUN pip install --no-cache-dir -c constraints.txt . \
    && rm -rf node_modules \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/earwitness earwitness \
    && install -d -o earwitness -g earwitness -m 0700 /var/lib/earwitness/keys /var/lib/earwitness/journal

USER earwitness
VOLUME ["/var/lib/earwitness"]
ENTRYPOINT ["earwitness"]
CMD ["--help"]
