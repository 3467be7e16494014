# Sourced when a dyno starts.
export PATH="$HOME/node_modules/.bin:$PATH"
export NODE_ENV="${NODE_ENV:-production}"
export WEB_MEMORY="${WEB_MEMORY:-512}"
if [ -z "${WEB_CONCURRENCY:-}" ] && [ -n "${DYNO_RAM:-}" ]; then
  WEB_CONCURRENCY=$((DYNO_RAM / WEB_MEMORY))
  if [ "$WEB_CONCURRENCY" -lt 1 ]; then WEB_CONCURRENCY=1; fi
  export WEB_CONCURRENCY
fi
