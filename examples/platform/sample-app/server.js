import { createServer } from "node:http";

const greeting = process.env.GREETING ?? "Hello from dynokit";
const server = createServer((request, response) => {
  console.log(`${request.method} ${request.url} answered by ${process.env.DYNO}`);
  response.setHeader("content-type", "text/plain; charset=utf-8");
  response.end(
    `${greeting}, ${process.env.DYNO} of release ${process.env.HEROKU_RELEASE_VERSION}\n`,
  );
});
server.listen(process.env.PORT, () => console.log(`listening on ${process.env.PORT}`));

// The router stops sending before the signal comes; what is still open ends in its own time.
process.on("SIGTERM", () => server.close(() => process.exit(0)));
