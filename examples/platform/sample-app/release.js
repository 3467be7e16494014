console.log(`preparing release ${process.env.HEROKU_RELEASE_VERSION}: nothing to migrate`);
