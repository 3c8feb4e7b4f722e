import { vitePlugin as remix } from '@remix-run/dev'
import { defineConfig } from 'vite'
import remixConfig from './remix.config.js'

export default defineConfig({
  plugins: [remix(remixConfig)],
  // Mantine ships untranspiled CSS imports: it is bundled into the server build.
  ssr: { noExternal: [/^@mantine\//] },
  build: { target: 'es2022', sourcemap: false },
  server: { fs: { strict: true } },
})
