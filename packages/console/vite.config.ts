import { defineConfig } from "vite";

export default defineConfig({
  // Relative, so that the files work under whatever path they are served from.
  base: "./",
  build: { outDir: "dist", target: "es2022", assetsInlineLimit: 0, modulePreload: false },
});
