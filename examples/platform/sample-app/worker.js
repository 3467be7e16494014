console.log(`${process.env.DYNO} is at work`);
const timer = setInterval(() => console.log(`tick from ${process.env.DYNO}`), 10_000);
process.on("SIGTERM", () => {
  clearInterval(timer);
  process.exit(0);
});
