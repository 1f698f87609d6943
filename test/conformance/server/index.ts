export { createConformanceServer } from './create-server.ts';
export { serveConformanceHttp } from './http.ts';
