// The API to read and to try; the session of the browser is its token.
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null, docExpansion: "none", filter: true, tryItOutEnabled: true });
